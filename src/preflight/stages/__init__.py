"""The pipeline's stages: one module each, files in and files out."""

import logging

log = logging.getLogger("preflight")
