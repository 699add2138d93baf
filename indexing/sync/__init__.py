"""Sources and versions kept in step."""
