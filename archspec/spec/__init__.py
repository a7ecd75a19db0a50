"""The language: text to data with places, data to a validated document, expressions."""
