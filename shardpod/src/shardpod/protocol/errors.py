"""The one error of the protocol: what came in is not Discord's gateway, so the connection is of no use."""


class ProtocolError(Exception):
    """What was received breaks the protocol; the connection is closed resumably and opened again."""
