"""What the service does: what is scraped, what is judged, what is shown."""
