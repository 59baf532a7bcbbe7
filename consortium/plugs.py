"""What `wharf chain run` plugs into the bare chain machine: gossip, store of others' feeds,
proofs.
"""

from consortium.compose import NodeParts, Plugins


async def plug_in(parts: NodeParts) -> Plugins:
    """The plug-ins of a chain machine, open and ready."""
    del parts  # the bare machine holds nobody's feeds yet
    return Plugins()
