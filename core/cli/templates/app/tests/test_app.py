"""The app on a real node of its own: `uv run pytest`."""

from pathlib import Path

from pcloud.testing import Cloud, cloud

__all__ = ["cloud"]  # a fixture of the whole session

APP = Path(__file__).parent.parent
ADD = "mutation($text: String!) { addWordCounter_Note(input: [{text: $text}]) { count } }"


def test_the_words_of_a_new_note_are_counted(cloud: Cloud) -> None:
    app = cloud.install(APP)
    cloud.graphql(ADD, {"text": "one two three"})
    cloud.wait_for_runs(app)
    assert {"words": 3} in cloud.graphql("{ queryWordCounter_Note { words } }")["queryWordCounter_Note"]
