"""A LangChain chain from a question to the prompt for a chat model, with sources to cite.

python examples/prompt_chain.py PROJECT "how many days of leave" [user:ada group:board ...]

Append your chat model with ``chain | model``; nothing here needs a network. Who asks is named
after the question; where documents have access lists, a question of nobody is refused.
"""

import sys

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnablePassthrough

from argot import ArgotRetriever

PROMPT = ChatPromptTemplate.from_template(
    "Answer from these passages only, and cite their numbers.\n\n{passages}\n\nQuestion: {question}"
)


def numbered(documents: list[Document]) -> str:
    """Lay out passages with what a reader needs to find them again."""
    return "\n\n".join(
        f"[{number}] {document.metadata['document_id']}"
        f"{', page ' + str(document.metadata['page']) if document.metadata['page'] else ''}\n"
        f"{document.page_content}"
        for number, document in enumerate(documents, start=1)
    )


def build_chain(retriever: ArgotRetriever) -> Runnable[str, object]:
    """Make a chain that takes a question and gives the prompt."""
    return {"passages": retriever | numbered, "question": RunnablePassthrough()} | PROMPT


def main() -> None:
    """Print the prompt for a question about a project's documents."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    project, question, *principals = sys.argv[1:]
    asking: RunnableConfig = {"configurable": {"principals": principals}} if principals else {}
    with ArgotRetriever.from_project(project, k=3) as retriever:
        print(build_chain(retriever).invoke(question, asking).to_string())


if __name__ == "__main__":
    main()
