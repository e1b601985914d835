"""What `import mindgap` offers: measure, decide, fit and apply."""
