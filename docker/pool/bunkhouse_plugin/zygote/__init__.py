"""The zygote: a preloaded Python from which bots are forked. Runs under the bots' own Python, with the standard library only.

lib/README.md, "Prefork", is the contract with the plugin.
"""
