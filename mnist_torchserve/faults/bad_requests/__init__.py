"""Requests that are bad, in their bodies or as HTTP: every kind of them, and a campaign of many among good ones."""
