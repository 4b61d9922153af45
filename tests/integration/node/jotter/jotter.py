"""Actions that write to the graph, now or later, and one that needs nothing."""

from pcloud.app import App

app = App()


@app.action
async def jot(text: str) -> None:
    await app.graph.mutate(
        "mutation($text: String!) { addNote(input: [{text: $text}]) { note { id } } }", {"text": text}
    )


@app.action
async def jot_later(text: str) -> None:
    await app.send("jotter/jot", key=text, text=text)


@app.action
async def greet(name: str) -> str:
    return f"hello {name}"


if __name__ == "__main__":
    app.run()
