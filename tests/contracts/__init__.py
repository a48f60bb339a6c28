"""The events as documents: examples, schemas, AsyncAPI, compatibility, and who follows whom."""
