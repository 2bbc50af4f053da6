from lingraft.report.phone import stacked

TABLE = """<table class="wide"><thead><tr><th>Text</th><th>Model</th><th>Bits<br><b>per byte</b></th></tr></thead>
<tbody><tr><th rowspan="2">Polish</th><td>base</td><td>2.3</td></tr><tr><td>new</td><td></td></tr></tbody></table>"""


def test_every_cell_has_the_heading_of_its_column_also_beside_a_spanning_one():
    page = stacked(TABLE)
    assert page.startswith('<table class="stacked wide">')
    for cell in (
        '<td data-label="Model"><span>base</span></td>',
        '<td data-label="Bits per byte"><span>2.3</span></td>',
        '<td data-label="Model"><span>new</span></td>',
        '<td data-label="Bits per byte"></td>',
    ):
        assert cell in page, cell


def test_drawn_tables_and_those_without_a_head_stay_as_they_are():
    for page in (
        TABLE.replace("wide", "forest target"),
        "<table><tbody><tr><td>1</td></tr></tbody></table>",
        "no table",
    ):
        assert stacked(page) == page


def test_headings_stay_text():
    assert 'data-label="&lt;b&gt; &quot;x&quot;"' in stacked(TABLE.replace("Model", "&lt;b&gt; &quot;x&quot;"))
