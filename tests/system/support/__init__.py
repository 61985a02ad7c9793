"""What the system tests share: starting an app under a primary, and clients that count."""
