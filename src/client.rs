//! A blocking SoupBinTCP client for the command's own clients, the demo and the tools.
