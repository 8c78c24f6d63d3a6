"""What every model service needs: requests checked by the contract, answers with an id."""
