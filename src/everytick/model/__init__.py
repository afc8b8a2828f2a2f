"""The nouns: frozen records without behaviour beyond their own spelling. No I/O, no clock."""
