"""Tables as Markdown."""

from lsp_ros.markdown import markdown_table, numbers_table


def test_a_table_is_written_and_its_numbers_stand_to_the_right():
    assert markdown_table(['a', 'b'], [[1, 2.5]]) == '| a | b |\n| --- | --- |\n| 1 | 2.5 |'
    assert numbers_table(['a', 'b', 'c'], [['x', 1, 2]]).splitlines()[1] == '| --- | ---: | ---: |'
