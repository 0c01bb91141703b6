"""The REST service and its page."""

from .app import create_app, serve
