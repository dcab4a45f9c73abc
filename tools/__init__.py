"""What a driver may call. Each tool returns a short text and a structured outcome."""
