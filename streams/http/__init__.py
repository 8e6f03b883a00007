"""The HTTP/1.1 connections of every process that listens: their bounds, places and refusals."""
