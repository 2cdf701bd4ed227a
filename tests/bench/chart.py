"""A chart of the figures as SVG: the time of each step, on a scale of powers of ten."""
import math
import statistics

COLOURS = {'original': '#b0563b', 'ours': '#2f6f9f', 'floor': '#8f9a94'}
NAMES = {'original': "Swift's own", 'ours': 'this', 'floor': 'the floor: one C program, no checks'}
LEFT, TOP, BAR, GAP, WIDTH = 120, 56, 13, 10, 560
LEAST = 0.3  # milliseconds at the left edge


def svg(figures, steps):
    who = [one for one in COLOURS if one in next(iter(figures.values()))]
    most = max(median(figures[n][one][step]) for n in figures for one in who for step in steps)
    decades = math.ceil(math.log10(most / LEAST) * 2) / 2

    def x(ms):
        return LEFT + WIDTH * math.log10(max(ms, LEAST) / LEAST) / decades

    parts, y = [], TOP
    for n in figures:
        parts.append(text(8, y + 12, f'{n:,} instances', weight='bold'))
        y += 20
        for step in steps:
            parts.append(text(LEFT - 8, y + BAR * len(who) / 2 + 4, step, anchor='end'))
            for one in who:
                ms = median(figures[n][one][step])
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{x(ms) - LEFT:.1f}" '
                             f'height="{BAR - 2}" fill="{COLOURS[one]}"/>')
                parts.append(text(x(ms) + 5, y + BAR - 3, shown(ms), size=11))
                y += BAR
            y += GAP
        y += GAP
    height = y + 16
    lines = []
    for power in range(0, 6):
        ms = 10 ** power
        if LEFT < x(ms) < LEFT + WIDTH:
            lines.append(f'<line x1="{x(ms):.1f}" x2="{x(ms):.1f}" y1="{TOP - 6}" y2="{height - 20}" '
                         'stroke="#d5d8d6"/>')
            lines.append(text(x(ms), height - 6, shown(ms), anchor='middle', size=11))
    legend, at = [], LEFT
    for one in who:
        legend.append(f'<rect x="{at}" y="30" width="12" height="12" fill="{COLOURS[one]}"/>')
        legend.append(text(at + 17, 40, NAMES[one]))
        at += 30 + 7.2 * len(NAMES[one])
    title = text(8, 18, 'What swift-init takes, in wall time (each line is ten times the last)',
                 weight='bold')
    body = '\n'.join([title, *legend, *lines, *parts])
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 90} {height}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n')


def median(runs):
    return statistics.median(run['ms'] for run in runs)


def shown(ms):
    return f'{ms / 1000:.3g} s' if ms >= 1000 else f'{ms:.3g} ms'


def text(x, y, words, anchor='start', size=13, weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}" fill="#222">{words}</text>')
