"""Why explorers score as they do."""
