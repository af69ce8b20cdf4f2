"""What is compared with what: rows, boards, ablations, pairs of ideas, published figures beside measured ones."""
