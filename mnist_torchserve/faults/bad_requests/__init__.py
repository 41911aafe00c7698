"""Bad requests, in their bodies or in their HTTP: all kinds of them, and a campaign that mixes them with good ones."""
