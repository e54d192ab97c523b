"""The slow twin of the energies: one class, one layer and one pair at a time, in whole numbers of events."""

from gnnsched_env.hardware import bind
from tests.twins import cost_model as naive


def model_energy(degrees, model, accelerator, dataflow, units):
    """Return the energy, pJ, of a model on a graph of these row degrees."""
    return sum(layer_energy(degrees, layer, bind(dataflow, layer, accelerator), units) for layer in model.layers)


def layer_energy(degrees, layer, bound, units):
    """Return the energy, pJ, of one layer: every event times what it costs."""
    macs, registers, links, buffer = layer_events(degrees, layer, bound)
    return (
        macs * units.mac_pj
        + registers * units.register_file_pj
        + links * units.link_pj
        + buffer * units.global_buffer_pj
    )


def layer_events(degrees, layer, bound):
    """Return (multiply-accumulates, register-file accesses, links crossed, global-buffer accesses) of one layer."""
    degrees = [int(degree) for degree in degrees]
    f, fc, g, rows = layer.in_features, layer.combination_features, layer.out_features, len(degrees)
    tiles = dict(zip(("T_Va", "T_N", "T_Fa", "T_Vc", "T_G", "T_Fc"), bound.tiling.as_tuple(), strict=True))
    case = {"V": rows, "F": f, "G": g, **tiles}
    for phase, array in (("agg", bound.aggregation), ("cmb", bound.combination)):
        case |= {f"pe_{phase}": array.pes, f"dn_bw_{phase}": array.distribution_bandwidth}
    counts = naive.access_counts(case, degrees, fc)
    macs = sum(degree * f for degree in degrees) + rows * fc * g
    registers = sum(count for name, count in counts.items() if "_rf_" in name)
    links = counts["agg_dn_links"] + counts["cmb_dn_links"]
    if bound.composition.name != "SP":
        return macs, registers, links, sum(count for name, count in counts.items() if "_sram_" in name)
    # SP keeps what the aggregation gives on the array: it is neither written nor read back; partial sums are both.
    buffer = counts["agg_sram_w"] + counts["agg_sram_in"] + counts["cmb_sram_in"] + counts["cmb_sram_pw"]
    if case["T_Fc"] < fc:
        buffer += 2 * g * rows * -(-fc // case["T_Fc"])
    return macs, registers, links, buffer + rows * (fc - f)
