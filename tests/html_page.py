"""A page as a parser reads it; what a browser makes of it is a test of its own."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Texts, ids and elements of a page."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.ids, self.elements = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
