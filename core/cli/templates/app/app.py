from pcloud.app import App

app = App()
NOTE = "query($id: ID!) { getNote(id: $id) { text } }"
SAVE = "mutation($id: ID!, $words: Int) { updateNote(input: {filter: {id: [$id]}, set: {words: $words}}) { count } }"


@app.action
async def count(note: str) -> int:
    text = (await app.graph.query(NOTE, {"id": note}))["getNote"]["text"]
    words = len(text.split())
    await app.graph.mutate(SAVE, {"id": note, "words": words})
    return words


if __name__ == "__main__":
    app.run()
