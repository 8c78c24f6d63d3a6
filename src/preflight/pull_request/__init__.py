"""The trusted half of a pull request: a finished run's evidence, judged as hostile and posted."""
