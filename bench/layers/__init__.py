"""What several backbones, necks and heads are made of, one idea a file."""
