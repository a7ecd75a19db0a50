"""What a graph costs: numbers only, exact, and nothing but integers until they are rendered."""
