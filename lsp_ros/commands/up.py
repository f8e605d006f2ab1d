"""``lsp up`` and ``lsp serve``: the live graph, or a renderer for many of them, until Ctrl-C."""

import argparse
from pathlib import Path

from lsp_ros.commands.loading import load
from lsp_ros.graph.avatar_graph import avatar_graph, renderer_graph
from lsp_ros.graph.configuration import flagged, setting
from lsp_ros.graph.supervisor import Graph


def run_up(options: argparse.Namespace) -> None:
    graph = graph_of(options)
    if options.file:
        _check_name(options.file)
        load('lsp_ros.media:read_audio')(options.file)  # says whether it is one; only here, as it costs the start 0.1 s
    graph.run()


def _check_name(file: Path) -> None:
    """Raises ValueError for a name that a ROS parameter, which is UTF-8, cannot hold."""
    try:
        str(file.resolve()).encode()
    except UnicodeEncodeError:
        readable = str(file).encode('utf-8', 'replace').decode()
        raise ValueError(f'{readable}: its name or folder is not UTF-8, which ROS wants: rename it.') from None


def graph_of(options: argparse.Namespace) -> Graph:
    """The graph that the options of ``lsp up`` describe, not started; ValueError where they make no sense."""
    source = options.source or ('file' if options.file else None)
    if source == 'file' and not options.file:
        raise ValueError('--source file needs --file FILE.')
    if options.file and source != 'file':
        raise ValueError(f'--file is for --source file, not for --source {source}.')
    if options.player is False and (options.record or options.report or options.duration):
        raise ValueError('--record, --report and --duration need the player: leave out --no-player.')
    values = {row.name: getattr(options, row.name) for row in flagged() if row.nodes}
    return avatar_graph(
        values
        | {
            'source': source,
            'file': str(options.file.resolve()) if options.file else None,
            'play_microphone': options.sound or None,
            'compressed': True if options.renderer is False else None,
        },
        options.namespace or str(setting('namespace').default),
        params_file=options.params_file,
        renderer=options.renderer is not False,
        player=options.player is not False,
        audio_in=options.audio_in,
        standby=options.standby is True,
    )


def run_serve(options: argparse.Namespace) -> None:
    values = {row.name: getattr(options, row.name) for row in flagged() if row.shared}
    renderer_graph(values, options.namespace, options.streams).run()
