"""The model card: people's words and the pipeline's figures on one page."""
