"""Chapter `downstream`: what does the gap do to accuracy and fairness, and can it be closed?"""
