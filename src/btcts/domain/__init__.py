"""What prices, candles and the kept series are, without a server, a file or a socket."""
