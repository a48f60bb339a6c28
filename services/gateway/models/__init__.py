"""What the HTTP door takes and answers, as OpenAPI shows it."""
