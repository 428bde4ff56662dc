"""Selection, resampling, learners, honest evaluation, artifacts and scoring."""
