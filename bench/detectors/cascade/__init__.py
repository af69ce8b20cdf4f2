"""MTCNN: three small networks one after the other, the later ones on crops that the earlier ones propose."""
