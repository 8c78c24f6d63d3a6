"""The example project: how long a New York green-taxi trip will take. Replace it with yours."""
