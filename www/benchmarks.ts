// The benchmark as charts: one for each work, of the peers on one medium. Made from the results that are kept.
import { BarController, BarElement, CategoryScale, Chart, LogarithmicScale, Tooltip } from 'chart.js'
import found from '../benches/results/latest.json'
import { quantity, roundsOf, shortNumber } from '../benches/web/report.js'
import { isMeasured, type Measured, type PeerResult, type Results, type WorkResult } from '../benches/web/results.js'
import { GrowthCharts } from './growth.js'
import { find } from './page.js'

Chart.register(BarController, BarElement, CategoryScale, LogarithmicScale, Tooltip)

const results = found as unknown as Results
const barPx = 26
const axisPx = 34

const environments: Record<string, string> = { web: 'Chromium', node: 'Node' }
const media: Record<string, string> = { memory: 'in memory', file: 'files' }

type Ratio = Measured & { readonly ratio: NonNullable<Measured['ratio']> }

class Page {
  readonly #part = find('#part', HTMLSelectElement)
  readonly #works = find('#works', HTMLElement)
  readonly #growth = new GrowthCharts()
  #charts: Chart[] = []

  constructor() {
    for (const part of new Set(results.peers.map(partOf))) this.#part.add(new Option(part, part))
    // A link can name the part that it is about.
    const asked = decodeURIComponent(location.hash.slice(1))
    if ([...this.#part.options].some(({ value }) => value === asked)) this.#part.value = asked
    this.#part.addEventListener('change', () => {
      history.replaceState(null, '', `#${encodeURIComponent(this.#part.value)}`)
      this.draw()
    })
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw())
    find('#conditions', HTMLElement).textContent = conditions()
  }

  draw(): void {
    for (const chart of this.#charts) chart.destroy()
    this.#charts = []
    this.#works.replaceChildren()
    const peers = results.peers.filter((peer) => partOf(peer) === this.#part.value)
    for (const work of results.works) this.#drawWork(work, peers)
    this.#growth.draw(peers[0]?.environment ?? 'web')
    find('#peers', HTMLUListElement).replaceChildren(...peers.filter(({ name }) => !isRevkv(name)).map(itemOf))
  }

  #drawWork(work: WorkResult, peers: readonly PeerResult[]): void {
    const cells = work.cells.filter((cell) => {
      return peers.some(({ name, environment }) => name === cell.peer && environment === cell.environment)
    })
    const own = cells.find(({ peer }) => isRevkv(peer))
    if (!own || !isMeasured(own)) return
    const others = cells.filter(({ peer }) => !isRevkv(peer))
    const bars = others.filter((cell): cell is Ratio => isMeasured(cell) && cell.ratio !== undefined)
    bars.sort((a, b) => b.ratio.median - a.ratio.median)
    const template = find('#work-template', HTMLTemplateElement)
    const section = find('section', HTMLElement, document.importNode(template.content, true))
    this.#works.append(section)
    find('h2', HTMLHeadingElement, section).textContent = work.title
    find('.own', HTMLElement, section).textContent = `revkv: ${quantity(own.median, work.unit)}`
    find('.dashes', HTMLElement, section).textContent = dashes(others)
    const box = find('.chart', HTMLElement, section)
    box.hidden = bars.length === 0
    if (bars.length === 0) return
    box.style.height = `${bars.length * barPx + axisPx}px`
    const canvas = find('canvas', HTMLCanvasElement, section)
    canvas.ariaLabel = bars.map(({ peer, ratio }) => `${peer}: ${shortNumber(ratio.median)} times`).join(', ')
    this.#charts.push(chartOf(canvas, bars, work))
  }
}

function chartOf(canvas: HTMLCanvasElement, bars: readonly Ratio[], work: WorkResult): Chart {
  const style = getComputedStyle(document.documentElement)
  const color = (name: string) => style.getPropertyValue(name).trim()
  const ratios = bars.map(({ ratio }) => ratio.median)
  const least = Math.floor(Math.log10(Math.min(...ratios, 0.99)))
  const most = Math.ceil(Math.log10(Math.max(...ratios, 1.01)))
  return new Chart(canvas, {
    type: 'bar',
    data: {
      labels: bars.map(({ peer, ratio }) => `${peer}  ${shortNumber(ratio.median)}×`),
      datasets: [
        {
          data: ratios,
          // Bars begin at revkv, so that the faster ones point the other way.
          base: 1,
          backgroundColor: ratios.map((ratio) => color(ratio < 1 ? '--delete' : '--put')),
          minBarLength: 2,
          borderRadius: 3,
          barPercentage: 0.7,
        },
      ],
    },
    options: {
      indexAxis: 'y',
      animation: false,
      maintainAspectRatio: false,
      scales: {
        x: {
          type: 'logarithmic',
          min: 10 ** least,
          max: 10 ** most,
          // 1, which is revkv, is always told; and not more powers of ten than a phone has room for.
          afterBuildTicks: (axis) => {
            const step = Math.ceil((most - least) / 4)
            const powers = Array.from({ length: most - least + 1 }, (_, i) => least + i)
            axis.ticks = powers.filter((power) => power % step === 0).map((power) => ({ value: 10 ** power }))
          },
          grid: { color: (grid) => color(grid.tick?.value === 1 ? '--text' : '--line') },
          ticks: { color: color('--faint'), maxRotation: 0, autoSkip: false, callback: (value) => `${value}×` },
        },
        y: { grid: { display: false }, ticks: { color: color('--text'), autoSkip: false } },
      },
      plugins: {
        tooltip: {
          displayColors: false,
          callbacks: {
            title: ([item]) => bars[item?.dataIndex ?? 0]?.peer ?? '',
            label: ({ dataIndex }) => (bars[dataIndex] ? told(bars[dataIndex], work) : ''),
          },
        },
      },
    },
  })
}

function told({ median, ratio }: Ratio, { unit }: WorkResult): string {
  const { min, max } = ratio
  return `${quantity(median, unit)}: ${shortNumber(ratio.median)}× (${shortNumber(min)} to ${shortNumber(max)})`
}

/** What is not measured, by its reason. */
function dashes(cells: WorkResult['cells']): string {
  const byReason = new Map<string, string[]>()
  for (const cell of cells) {
    if (isMeasured(cell)) continue
    byReason.set(cell.because, [...(byReason.get(cell.because) ?? []), cell.peer])
  }
  return [...byReason].map(([why, peers]) => `– ${peers.join(', ')}: ${why}`).join('; ')
}

function itemOf({ name, packages, how }: PeerResult): HTMLLIElement {
  const item = document.createElement('li')
  const versions = packages.map((name) => `${name} ${results.versions[name] ?? ''}`).join(', ')
  item.textContent = [versions || name, how].filter(Boolean).join(': ')
  return item
}

function conditions(): string {
  const { date, machine, versions, entries } = results
  const engines = ['Chromium', 'Node'].filter((name) => versions[name]).map((name) => `${name} ${versions[name]}`)
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.system}`
  const what = `${entries.toLocaleString('en')} entries, ${roundsOf(results)}`
  return `${date}; ${where}; ${engines.join(', ')}; revkv ${versions.revkv}; ${what}.`
}

function partOf({ environment, medium }: PeerResult): string {
  return `${environments[environment]}, ${media[medium] ?? medium}`
}

function isRevkv(name: string): boolean {
  return name.startsWith('revkv ')
}

new Page().draw()
