"""What the service remembers: predictions and outcomes, in segments and in Parquet by day."""
