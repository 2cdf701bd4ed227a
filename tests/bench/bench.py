"""Times three programs on the same work: Swift's own swift-init, ours, and the floor.

usage: bench.py [options] --ours SWIFT-INIT [--original SWIFT-INIT] [--before SWIFT-INIT]

Each round starts, looks at, restarts and stops N object-servers (a C program that is ready at once)
with one program after the other, in namespaces of its own, whose first process this is. Prints
medians with the middle half of what was seen, ratios, memory, and instructions, which do not move
with the machine's load. `make bench` and `make bench-growth` run it; CONTRIBUTING.md says more.

--before names another build of ours, which is played in the same rounds, one after the other.

The floor (floor.c) is what one C program pays for the same forks, files and signals. Ours gets
--no-check for the restart, since neither of the others checks a config.
"""
import argparse
import json
import math
import statistics
import sys

import chart
import lab

STEPS = ['start', 'status', 'restart', 'stop']
WHO = ['original', 'floor', 'before', 'ours']
MIB = 1024


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--ours', required=True)
    parser.add_argument('--original')
    parser.add_argument('--before')
    parser.add_argument('-n', default='4,100,1000', help='how many instances, as a list')
    parser.add_argument('-r', type=int, default=9, help='rounds of the floor and of ours')
    parser.add_argument('--original-rounds', type=int, default=3)
    parser.add_argument('--growth', action='store_true', help='the exponent up to 10,000 instances')
    parser.add_argument('--json', metavar='FILE')
    parser.add_argument('--chart', metavar='FILE')
    options = parser.parse_args()
    sizes = [int(n) for n in options.n.split(',')]
    with lab.Lab(options.ours, options.original, options.before) as the_lab:
        if options.growth:
            return growth(the_lab)
        figures = {n: rounds(the_lab, n, options) for n in sizes}
        for n in sizes:
            table(n, figures[n])
        empty(the_lab)
        latency(the_lab)
        instructions(the_lab)
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(figures, file, indent=1)
    if options.chart:
        with open(options.chart, 'w') as file:
            file.write(chart.svg(figures, STEPS))


def rounds(the_lab, n, options):
    """What every step took with each program: lists of runs."""
    seen = {who: {step: [] for step in STEPS} for who in WHO if who in the_lab.programs}
    for number in range(options.r):
        for who in seen:
            if who == 'original' and number >= options.original_rounds:
                continue
            for step, runs in the_lab.round(who, n, STEPS).items():
                seen[who][step] += runs
    return seen


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def peak(runs):
    """The most memory of any of them, in MiB."""
    return max(run['kib'] for run in runs) / MIB


def middle(runs):
    """The middle half of the times, as text."""
    if len(runs) < 4:
        return ''
    low, _, high = statistics.quantiles([run['ms'] for run in runs], n=4)
    return f'{low:.2f}..{high:.2f}'


def table(n, seen):
    print(f'\n{n} instances; milliseconds, medians of '
          + ', '.join(f'{len(seen[who]["stop"])} rounds ({who})' for who in seen))
    print(f'{"":9}{"original":>10}{"floor":>9}{"ours":>8}  {"middle half of ours":20}'
          f'{"ours/floor":>10}{"original/ours":>14}'
          f'{"peak MiB":>9}{"original MiB":>13}' + (f'{"ours/before":>12}' if 'before' in seen else ''))
    for step in STEPS:
        floor, ours = median(seen['floor'][step], 'ms'), median(seen['ours'][step], 'ms')
        original = median(seen['original'][step], 'ms') if 'original' in seen else math.nan
        of_original = peak(seen['original'][step]) if 'original' in seen else math.nan
        print(f'{step:9}{original:10.1f}{floor:9.2f}{ours:8.2f}  {middle(seen["ours"][step]):20}'
              f'{ours / floor:10.2f}{original / ours:14.0f}'
              f'{peak(seen["ours"][step]):9.1f}{of_original:13.1f}'
              + (f'{ours / median(seen["before"][step], "ms"):12.2f}' if 'before' in seen else ''))


def empty(the_lab):
    """What the start of the programs alone takes of a status."""
    runs = the_lab.empty(100)
    if any(run['status'] != 0 for run in runs):
        sys.exit('the programs that do nothing failed')
    print(f'\nthree programs that do nothing, joined as those of a status are:'
          f' {median(runs, "ms"):.2f} ms ({middle(runs)})')


def latency(the_lab):
    """How long after the last server's death a stop returns."""
    after = [the_lab.after_last_death(100) for _ in range(15)]
    print(f'\nstop of 100: returns {statistics.median(after):.2f} ms after the last death'
          f' (at most {max(after):.2f} in {len(after)} rounds)')


def instructions(the_lab):
    few, many = 4, 20
    counts = {who: [the_lab.instructions(who, n) for n in (few, many)] for who in ('floor', 'ours')}
    print('\nstatus, instructions in user mode: ', end='')
    for who, (one, other) in counts.items():
        print(f'{who} {one:,} at {few}, {(other - one) // (many - few):,} for each further instance; ',
              end='')
    print()


def growth(the_lab):
    """Time and memory from 1,000 to 10,000 instances, and how they grow."""
    sizes = [1000, 2000, 5000, 10000]
    seen = {n: [the_lab.round('ours', n, STEPS) for _ in range(3)] for n in sizes}
    print(f'{"":9}' + ''.join(f'{n:>9}' for n in sizes)
          + '  exponent   milliseconds, medians of 3 rounds')
    for step in STEPS:
        times = [statistics.median(one[step][0]['ms'] for one in seen[n]) for n in sizes]
        print(f'{step:9}' + ''.join(f'{t:9.1f}' for t in times) + f'{slope(sizes, times):10.2f}')
    for step in STEPS:
        kib = [max(one[step][0]['kib'] for one in seen[n]) for n in sizes]
        row = (kib[-1] - kib[0]) * 1024 / (sizes[-1] - sizes[0])
        print(f'{step:9}' + ''.join(f'{k / MIB:9.1f}' for k in kib)
              + f'            peak MiB of any tool; {row:.0f} bytes for each further row')


def slope(sizes, values):
    """The exponent: the slope of the line that fits the logarithms best."""
    x, y = [math.log(n) for n in sizes], [math.log(v) for v in values]
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


if __name__ == '__main__':
    sys.exit(main())
