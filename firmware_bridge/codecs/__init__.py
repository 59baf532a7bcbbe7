"""Pure decoders: bytes in, observations and rejections out. No clock, no input, no output, no
exceptions.
"""
