"""``lsp quantize``: a renderer in 8 bits for CPUs."""

from lsp_ros.cli.arguments import Commands, command


def add_commands(commands: Commands) -> None:
    parser = command(
        commands,
        'quantize',
        'lsp_ros.commands.quantize:run_quantize',
        "put the renderer in 8 bits into an avatar's folder, for quick starts and pictures on a CPU",
    )
    parser.add_argument('avatar', help='a folder, or the name of a built-in avatar')
