"""The engine: who may call what, which account answers, what is written down. No HTTP of its
own.
"""
