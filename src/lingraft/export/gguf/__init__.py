"""A model folder as one GGUF file, the form that llama.cpp and what is built on it load."""
