"""Photos through a real vLLM server on the CPU, with a tiny random model: `make test-vllm`.

What the model says is noise, which is the point: whatever noise comes back through a real
server's parsers and grammars, each run ends in an answer and its trace accounts for the noise.
Without a server's address in `VLLM_TEST_URL` these tests are skipped.
"""
