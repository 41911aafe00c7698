"""The state of the service: scraping its metrics, judging its health, showing both."""
