"""scripts/machine-code, on disassembly as cuobjdump prints it and reports as the build writes them."""
import importlib.machinery
import importlib.util
import sys
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/machine-code"

sys.dont_write_bytecode = True  # scripts hold no compiled files
loader = importlib.machinery.SourceFileLoader("machine_code", str(SCRIPT))
machine_code = importlib.util.module_from_spec(importlib.util.spec_from_loader("machine_code", loader))
loader.exec_module(machine_code)

DISASSEMBLY = """
	code for sm_90a
		Function : ring
        /*0050*/                   WARPGROUP.ARRIVE ;                                        /* 0x00000000000079c5 */
                                                                                             /* 0x000fe20000000000 */
        /*0110*/                   HGMMA.64x8x16.F32.BF16 R24, gdesc[UR8], R24, gsb0 ;       /* 0x00000000081879f0 */
        /*0120*/                   HGMMA.64x8x16.F32.BF16 R24, gdesc[UR8], R24, gsb0 ;       /* 0x00000000081879f0 */
        /*0130*/              @!UP1 UTMALDG.2D [UR12], [UR16] ;                              /* 0x00000000081879f0 */
        /*0140*/               @!P0 SYNCS.ARRIVE.TRANS64 RZ, [UR4], R0 ;                     /* 0x00000000081879f0 */
        /*0150*/                   STG.E desc[UR6][R2.64], R24 ;                             /* 0x0000001802007986 */
		Function : plain
        /*0000*/                   EXIT ;                                                    /* 0x000000000000794d */
"""

REPORT = """
ptxas info    : Compiling entry function 'ring' for 'sm_90a'
launch bounds : 'ring' for 'sm_90a' .maxntid 384, 1, 1
instruction : 'ring' for 'sm_90a' wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16
instruction : 'ring' for 'sm_90a' wgmma.commit_group.sync.aligned
instruction : 'ring' for 'sm_90a' cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes
instruction : 'ring' for 'sm_90a' mbarrier.init.shared::cta.b64
"""


class MachineCode(unittest.TestCase):
    def faults(self, report: str) -> list[str]:
        return machine_code.faults("ring.cu", machine_code.asked(report), machine_code.held(DISASSEMBLY))

    def test_instructions_are_counted_by_kernel_with_and_without_predicates(self):
        counts = machine_code.held(DISASSEMBLY)
        self.assertEqual(counts["ring"], {
            "WARPGROUP.ARRIVE": 1, "HGMMA.64x8x16.F32.BF16": 2, "UTMALDG.2D": 1, "SYNCS.ARRIVE.TRANS64": 1,
        })
        self.assertEqual(counts["plain"], {})

    def test_what_ptx_asks_for_and_machine_code_holds_is_no_fault(self):
        self.assertEqual(self.faults(REPORT), [])

    def test_what_machine_code_lacks_is_named_with_the_kernel(self):
        opcode = "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
        [fault] = self.faults(REPORT + f"instruction : 'ring' for 'sm_90a' {opcode}\n")
        self.assertEqual(
            fault, f"hopper/ring.cu: ring asks for {opcode}, and its machine code has no UTMALDG.MULTICAST"
        )
        for kernel in ("plain", "gone"):
            [fault] = self.faults(f"instruction : '{kernel}' for 'sm_90a' wgmma.mma_async.sync.aligned.m64n8k16\n")
            self.assertIn(f"{kernel} asks for wgmma.mma_async.sync.aligned.m64n8k16, and", fault)
        [fault] = self.faults("instruction : 'ring' for 'sm_90a' cp.reduce.async.bulk.tensor.2d.global.shared::cta.add\n")
        self.assertIn("no UTMAREDG", fault)


if __name__ == "__main__":
    unittest.main()
