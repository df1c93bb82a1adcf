// How times grow with the entries, as charts: one for each work, a line for each number of versions.
import {
  Chart,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  Tooltip,
} from 'chart.js'
import found from '../benches/results/growth.json'
import { exponentOf, exponentText } from '../benches/web/growth/fit.js'
import { type Growth, type GrowthOfWork, grid, lineOf } from '../benches/web/growth/results.js'
import type { Environment } from '../benches/web/peer.js'
import { quantity, roundsOf } from '../benches/web/report.js'
import { find } from './page.js'

Chart.register(Legend, LinearScale, LineController, LineElement, LogarithmicScale, PointElement, Tooltip)

const growth = found as unknown as Growth
/** Of the lines, fewest versions first. */
const colors = ['--put', '--delete', '--faint']

export class GrowthCharts {
  readonly #place = find('#growth', HTMLElement)
  #charts: Chart[] = []

  constructor() {
    const { date, versions } = growth
    const where = `Chromium ${versions.Chromium}, Node ${versions.Node}; revkv ${versions.revkv}`
    find('#growth-conditions', HTMLElement).textContent = `${date}; ${where}; ${roundsOf(growth)}.`
  }

  draw(environment: Environment): void {
    for (const chart of this.#charts) chart.destroy()
    this.#place.replaceChildren()
    this.#charts = growth.works.map((work) => {
      const template = find('#growth-template', HTMLTemplateElement)
      const section = find('section', HTMLElement, document.importNode(template.content, true))
      this.#place.append(section)
      find('h3', HTMLHeadingElement, section).textContent = work.title
      return chartOf(find('canvas', HTMLCanvasElement, section), work, environment)
    })
  }
}

function chartOf(canvas: HTMLCanvasElement, work: GrowthOfWork, environment: Environment): Chart {
  const style = getComputedStyle(document.documentElement)
  const color = (name: string) => style.getPropertyValue(name).trim()
  const datasets = grid.versions.map((versions, i) => {
    const line = lineOf(work, environment, versions)
    const exponent = exponentOf(line.map(({ entries, ns }) => ({ count: entries, ns })))
    return {
      label: `${versions === 1 ? '1 version' : `${versions} versions`}, exponent ${exponentText(exponent)}`,
      data: line.map(({ entries, ns }) => ({ x: entries, y: ns })),
      borderColor: color(colors[i] as string),
      backgroundColor: color(colors[i] as string),
    }
  })
  // A whole decade at least, so that what is level looks level.
  const times = datasets.flatMap(({ data }) => data.map(({ y }) => Math.log10(y)))
  const [least, most] = [Math.floor(Math.min(...times)), Math.ceil(Math.max(...times))]
  canvas.ariaLabel = datasets.map(({ label }) => label).join('; ')
  const ticks = { color: color('--faint'), maxRotation: 0 }
  return new Chart(canvas, {
    type: 'line',
    data: { datasets },
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: {
        x: {
          type: 'logarithmic',
          afterBuildTicks: (axis) => {
            axis.ticks = grid.entries.map((value) => ({ value }))
          },
          grid: { color: color('--line') },
          ticks: { ...ticks, callback: (value) => Number(value).toLocaleString('en', { notation: 'compact' }) },
        },
        y: {
          type: 'logarithmic',
          min: 10 ** least,
          max: 10 ** most,
          afterBuildTicks: (axis) => {
            axis.ticks = Array.from({ length: most - least + 1 }, (_, i) => ({ value: 10 ** (least + i) }))
          },
          grid: { color: color('--line') },
          ticks: { ...ticks, callback: (value) => quantity(Number(value), 'ns') },
        },
      },
      plugins: {
        legend: { display: true, labels: { color: color('--text') } },
        tooltip: {
          callbacks: {
            title: ([item]) => `${Number(item?.parsed.x).toLocaleString('en')} entries`,
            label: ({ dataset, parsed }) => `${dataset.label}: ${quantity(Number(parsed.y), 'ns')}`,
          },
        },
      },
    },
  })
}
