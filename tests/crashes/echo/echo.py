"""Writes one reply for each note."""

from pcloud.app import App

app = App()


@app.action
async def hello() -> str:
    return "hello"


@app.action
async def echo(note: str) -> None:
    await app.graph.mutate("mutation($n: ID!) { addReply(input: [{note: $n}]) { reply { id } } }", {"n": note})


if __name__ == "__main__":
    app.run()
