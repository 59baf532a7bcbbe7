"""CometBFT as the engine: its ABCI socket, its RPC, its files, and the pair of processes."""
